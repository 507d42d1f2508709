import "hono";
import "smol-toml";
import "pcap/decode";
