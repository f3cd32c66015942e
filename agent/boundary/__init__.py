"""The coverage boundary of a lease: computed, written as GeoJSON and as a picture."""
