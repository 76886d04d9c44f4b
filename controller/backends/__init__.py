"""The doors to the supervisors; each translates core launches to its supervisor's words."""
