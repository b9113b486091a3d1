"""The text protocol of TWS and IB Gateway, server versions 157 to 178. Pure."""
