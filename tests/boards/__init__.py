"""An app with models to bind."""
