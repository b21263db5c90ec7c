"""The compiler: Spec to Plan to Module."""
