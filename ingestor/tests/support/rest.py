"""Home Assistant's REST API, for whom the trusted network lets in."""

from __future__ import annotations

from collections.abc import Mapping
import json
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from tests.support.servers import HOST


class Rest:
    """What a Home Assistant on a loopback port can be asked for."""

    port: int
    _token = ""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def runs(self) -> bool:
        try:
            self._token = ""
            return bool(self.request("GET", "/config")["state"] == "RUNNING")
        except (URLError, OSError, KeyError, ValueError):
            return False

    def _post(self, path: str, data: bytes, kind: str) -> dict[str, object]:
        request = Request(self.url + path, data=data, headers={"Content-Type": kind})
        with urlopen(request, timeout=5) as response:
            answer: dict[str, object] = json.loads(response.read())
        return answer

    def token(self) -> str:
        """Log in by the trusted network; good for half an hour."""
        if not self._token:
            here = f"{self.url}/"
            flow = {
                "client_id": here,
                "handler": ["trusted_networks", None],
                "redirect_uri": here,
            }
            kind = "application/json"
            code = self._post("/auth/login_flow", json.dumps(flow).encode(), kind)["result"]
            form = {"grant_type": "authorization_code", "code": code, "client_id": here}
            kind = "application/x-www-form-urlencoded"
            answer = self._post("/auth/token", urlencode(form).encode(), kind)
            self._token = str(answer["access_token"])
        return self._token

    def request(
        self, method: str, path: str, body: object = None, timeout_s: float = 5
    ) -> dict[str, object]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"}
        request = Request(f"{self.url}/api{path}", data=data, headers=headers, method=method)
        with urlopen(request, timeout=timeout_s) as response:
            answer = json.loads(response.read())
        return answer if isinstance(answer, dict) else {"list": answer}

    def fire(self, event_type: str, data: Mapping[str, object]) -> None:
        self.request("POST", f"/events/{event_type}", data)

    def set(self, entity_id: str, state: str) -> None:
        self.request("POST", f"/states/{entity_id}", {"state": state})

    def call(self, domain: str, service: str, **data: object) -> dict[str, object]:
        """Call an action that answers, and return its answer; it may take as long as a stop may."""
        path = f"/services/{domain}/{service}?return_response"
        answer = self.request("POST", path, data, timeout_s=60)["service_response"]
        assert isinstance(answer, dict)
        return answer
