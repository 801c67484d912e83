"""Pictures of finished runs, one a file."""
