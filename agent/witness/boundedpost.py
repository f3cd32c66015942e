"""One POST to a server that may be hostile: so many bytes, so many seconds in all, no redirect, nothing unpacked."""

import time


def posted(url: str, content: bytes, *, limit: int, within_s: float) -> tuple[int, bytes] | str:
    """Status and body of the answer, or why there is none; never raises.

    Args: limit: bytes that are read at the most. within_s: for connecting and for the whole answer, however slowly it
    comes. An answer that is packed (gzip) is refused: a few bytes of it may be any number.
    """
    import httpx

    ends_s, found = time.monotonic() + within_s, bytearray()
    headers = {"accept-encoding": "identity"}
    try:
        with (
            httpx.Client(timeout=within_s, follow_redirects=False) as client,
            client.stream("POST", url, content=content, headers=headers) as answer,
        ):
            if answer.headers.get("content-encoding", "identity") != "identity":
                return f"{url}: answers packed"
            for chunk in answer.iter_raw():
                found += chunk
                if len(found) > limit:
                    return f"{url}: answers more than {limit} bytes"
                if time.monotonic() > ends_s:
                    return f"{url}: did not answer whole within {within_s:g} s"
            return answer.status_code, bytes(found)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
        return f"{url}: {exc or type(exc).__name__}"
