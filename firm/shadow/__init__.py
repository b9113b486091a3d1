"""The shadow firm: another configuration decides on the live firm's log, and cannot send anything."""
