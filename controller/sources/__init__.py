"""Where specs come from: strict YAML, the directory, and the surgical editor."""
