"""The firm's life after its host: a copy of the log on another one, and fences against an old leader."""
