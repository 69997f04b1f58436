"""A HubSpot account in memory: what it holds and its rules. The sandbox puts HTTP before it."""
