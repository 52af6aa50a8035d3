-- Health of an object of entente.dev, of whatever kind, from its conditions.
-- One script for all: they share the conditions Ready, Reconciling and Stalled.

local function condition(name)
  local status = obj.status or {}
  for _, it in ipairs(status.conditions or {}) do
    if it.type == name then
      return it
    end
  end
  return nil
end

local function says(name)
  local found = condition(name)
  return found ~= nil and found.status == "True"
end

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "It is being deleted." }
end

local ready = condition("Ready")
if ready == nil then
  return { status = "Progressing", message = "The operator has not seen this object yet." }
end

-- What is said of an earlier spec says nothing of this one.
local seen = ready.observedGeneration
if seen ~= nil and obj.metadata.generation ~= nil and seen < obj.metadata.generation then
  return { status = "Progressing", message = "The operator has not seen this spec yet." }
end

if ready.status == "True" then
  if ready.reason == "Suspended" then
    return { status = "Suspended", message = ready.message }
  end
  return { status = "Healthy", message = ready.message }
end

-- A person has to change something, or a promised day has passed and the service is not there.
if says("Stalled") or (obj.kind == "Contract" and says("PromiseMissed")) then
  return { status = "Degraded", message = ready.message }
end

return { status = "Progressing", message = ready.message }
