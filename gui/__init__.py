"""The window. It shows and edits what `core` makes; it parses no file and runs no model itself."""
