"""The whole stack on one machine: AWS emulated, the platform simulated, the function as it is deployed."""
