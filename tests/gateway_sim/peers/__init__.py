"""One conversation with the gateway, held by clients of several lineages; each tells what it understood."""
