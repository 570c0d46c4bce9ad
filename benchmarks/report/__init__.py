"""Tables, plots and the scaling model of the documentation, made of the results of a run."""
