"""A page to look at in a browser, one file that needs nothing else: sphere, curves, resolution, configuration."""
