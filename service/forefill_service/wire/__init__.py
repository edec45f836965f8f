"""The gRPC side: protobuf to values and back, the servicers."""
