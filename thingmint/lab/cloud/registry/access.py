"""Who may ask the hub's REST for what, and how often: tokens of the sign-in, shared access policies by their rights."""

from starlette.requests import Request

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.registry.throttle import Operation, Throttle
from thingmint.lab.cloud.signin.callers import Callers, has_api_version
from thingmint.lab.cloud.signin.tokens import REGISTRY_AUDIENCES, Signer, TokenProblem
from thingmint.lab.cloud.wire import registry_error

# The policies of a new hub that have the right. https://learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas
REGISTRY_READ = ("iothubowner", "registryRead", "registryReadWrite")
REGISTRY_WRITE = ("iothubowner", "registryReadWrite")
SERVICE_CONNECT = ("iothubowner", "service")
# The table of permissions gives queries to ServiceConnect; Microsoft's samples run them with RegistryRead.
QUERY = (*REGISTRY_READ, "service")


class Access:
    def __init__(self, hub: Hub, signer: Signer) -> None:
        self._hub = hub
        local = {f"{name}:{hub.https_port}" for name in ("localhost", "127.0.0.1")}
        hosts = frozenset(local | {hub.role.hub_host.lower()})
        self._callers = Callers(signer, REGISTRY_AUDIENCES, hub.secrets.policy_keys, hosts)
        self._throttle = Throttle() if hub.role.throttle else None

    def require(self, request: Request, policies: tuple[str, ...], operation: Operation | None = None) -> None:
        """Raises Refusal. Twins' limits are so high that no rehearsal meets them: they have no `operation`."""
        if absence := self._hub.absence():
            # On Azure not even the name would be known, which one address for everything cannot show.
            raise registry_error("IotHubNotFound", f"{absence[0].upper()}{absence[1:]}.", reason=absence)
        try:
            policy = self._callers.check(request)
            if policy is not None and policy not in policies:
                raise TokenProblem("", f"the policy {policy!r} has no right to this")
        except TokenProblem as problem:
            raise registry_error("IotHubUnauthorizedAccess", "Unauthorized", reason=problem.reason) from None
        if not has_api_version(request):
            raise registry_error("ArgumentInvalid", "The query parameter api-version is missing or invalid.")
        if self._throttle and operation:
            self._throttle.take(operation)
