"""IPv6-only networks: addresses that stand for IPv4 servers (NAT64), which prefix a network has, what operators promise."""
