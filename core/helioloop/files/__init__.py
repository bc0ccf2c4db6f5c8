"""Files on disk: whole or not at all (`atomic`), CSV tables (`tables`, `decoding`), names safe as paths (`names`)."""
