"""Hardware profiles: the capabilities of each kind of radio as TOML files, with schema and loader."""
