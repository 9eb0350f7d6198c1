"""Everything that can be fitted to labelled rows, and the packs that it goes into."""
