"""How two sides are kept in agreement: read, plan, apply, reconcile. No vendor, no SQL, no HTTP."""
