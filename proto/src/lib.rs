//! What nodes say to each other: messages and services over gRPC.
