"""Files on disk: whole or not at all (`atomic`), CSV tables (`tables`, `decoding`), names that are safe as paths (`names`)."""
