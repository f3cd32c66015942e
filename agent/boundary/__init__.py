"""Coverage boundary of a lease: computed, and written as GeoJSON and as a picture."""
