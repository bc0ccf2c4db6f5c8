"""The RQ worker, the Label Studio gateway, ingestion and the command line."""
