"""Ways into other people's proxies. Nothing is imported here: each module loads its own host."""
