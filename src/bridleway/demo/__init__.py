"""The demo: three organisations, a city that asks, a linker that holds nothing. All made up."""
