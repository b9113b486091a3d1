"""Actors host agents and gateways on Ray, and decide nothing. The only floor that imports ray."""
