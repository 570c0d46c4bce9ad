"""The load: processes without an event loop of anybody's, which send bytes made beforehand and compare what comes."""
