-- The operator looks at it now; status.lastHandledReconcileAt has the value when it has.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["entente.dev/reconcile-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
