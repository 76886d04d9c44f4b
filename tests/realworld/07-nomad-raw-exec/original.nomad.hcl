job "billing" {
  datacenters = ["dc1"]
  type        = "service"

  group "api" {
    count          = 2
    shutdown_delay = "1s"

    network {
      port "http" {}
    }

    restart {
      attempts = 3
      interval = "2m"
      delay    = "1s"
      mode     = "fail"
    }

    service {
      name = "billing-api"
      port = "http"
      check {
        type     = "http"
        path     = "/health"
        interval = "1s"
        timeout  = "1s"
        check_restart {
          limit = 3
          grace = "5s"
        }
      }
    }

    task "config" {
      lifecycle { hook = "prestart" }
      driver = "raw_exec"
      config {
        command = "/opt/billing/bin/check-config"
        args    = ["local/billing.toml"]
      }
    }

    task "api" {
      driver = "raw_exec"
      user   = "nobody"
      config {
        command = "/opt/billing/bin/billing"
        args    = ["--port", "${NOMAD_PORT_http}", "--shard", "${NOMAD_ALLOC_INDEX}"]
      }
      template {
        data        = "STRIPE_KEY={{ with secret \"kv/data/billing\" }}{{ .Data.data.stripe }}{{ end }}"
        destination = "secrets/env"
        env         = true
      }
      env { REGION = "eu-central" }
      kill_signal  = "SIGINT"
      kill_timeout = "8s"
      resources {
        cpu    = 500
        memory = 128
      }
      logs {
        max_files     = 3
        max_file_size = 10
      }
    }
  }
}
