"""The REST API: documents of the JSON contract (docs/cli.md) over `intent`, version 1."""
