"""The gRPC side: the servicers, and the conversion between protobuf and values."""
