"""The studio: panels for notebooks, each one call, that need ipywidgets (the extra `course`)."""
