"""An Alpha ESS inverter with a house around it, for the demo and the tests."""
