"""What each kind of radio can do: profile schema, loader and one TOML file for each radio."""
