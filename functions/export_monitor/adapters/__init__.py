"""Clients of the API, of AWS and of Powertools. The protocols that they implement are in the modules that use them."""
