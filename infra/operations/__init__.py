"""What the operations commands do; `infra.cli` only declares options and prints."""
