"""The codes with which AWS refuses a call. Pure code."""

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
"""The credentials have expired: sign in again."""
UNKNOWN_CREDENTIALS = {
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
"""AWS does not accept the credentials."""
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403", "Forbidden"}
"""The credentials lack a permission. The last two are codes of answers without a body."""
NO_OBJECT = {"NoSuchKey", "404"}
"""S3 has no object under a key. The last one is the code of an answer without a body, or with one that is no XML: it
repeats the key, and XML has no control characters."""
