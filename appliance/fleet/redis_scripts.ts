/**
 * Duty: what of the shared registry has to happen all at once, as scripts of Redis. Pure.
 *
 * KEYS[1] is the prefix, with the braces that keep all of a fleet in one slot of a cluster; a node is a hash.
 */
const NODE = `local node = KEYS[1] .. ':node:' .. ARGV[1] `;

/** Others are told; who reads it too late reads all. */
export const CHANGES_KEPT = 50_000;
const CHANGED =
  `redis.call('XADD', KEYS[1] .. ':changes', 'MAXLEN', '~', ${CHANGES_KEPT}, '*', 'n', ARGV[1])`;

/** ARGV: id, key, name, token id, digest, now. "ok" or "". */
export const ENROL = NODE + `
  local token = KEYS[1] .. ':token:' .. ARGV[4]
  local kept = redis.call('HMGET', token, 'digest', 'used_by', 'expires', 'labels')
  if kept[1] ~= ARGV[5] or kept[2] ~= '' or tonumber(kept[3]) <= tonumber(ARGV[6]) then return '' end
  redis.call('HSET', token, 'used_by', ARGV[1])
  redis.call('ZREM', KEYS[1] .. ':tokens_waiting', ARGV[4])
  redis.call('HSET', node, 'id', ARGV[1], 'key', ARGV[2], 'name', ARGV[3], 'labels', kept[4], 'enrolled', ARGV[6],
    'connection', 0, 'sequence', 0, 'last_event', 0, 'last_command', 0)
  redis.call('HSET', KEYS[1] .. ':keys', ARGV[2], ARGV[1])
  redis.call('ZADD', KEYS[1] .. ':nodes', 0, ARGV[1])
  ${CHANGED}
  return 'ok'`;

/** ARGV: id, key. */
export const SET_KEY = NODE + `
  redis.call('HDEL', KEYS[1] .. ':keys', redis.call('HGET', node, 'key'))
  redis.call('HSET', KEYS[1] .. ':keys', ARGV[2], ARGV[1])
  redis.call('HSET', node, 'key', ARGV[2])
  return 1`;

/** ARGV: id, field, value. Only where the node is there; a revocation holds. */
export const SET_FIELD = NODE + `
  if redis.call('EXISTS', node) == 0 then return 0 end
  if ARGV[2] == 'revoked' then redis.call('HSETNX', node, 'revoked', ARGV[3])
  else redis.call('HSET', node, ARGV[2], ARGV[3]) end
  ${CHANGED}
  return 1`;

/** ARGV: id, controller, now. Returns the connection's number. */
export const CONNECTED = NODE + `
  redis.call('HSET', node, 'controller', ARGV[2], 'seen', ARGV[3])
  redis.call('SADD', KEYS[1] .. ':at:' .. ARGV[2], ARGV[1])
  ${CHANGED}
  return redis.call('HINCRBY', node, 'connection', 1)`;

/** ARGV: id, connection, now, controller. */
export const DISCONNECTED = NODE + `
  if redis.call('HGET', node, 'connection') == ARGV[2] then
    redis.call('HDEL', node, 'controller')
    redis.call('HSET', node, 'seen', ARGV[3])
    redis.call('SREM', KEYS[1] .. ':at:' .. ARGV[4], ARGV[1])
    ${CHANGED}
  elseif redis.call('HGET', node, 'controller') ~= ARGV[4] then
    redis.call('SREM', KEYS[1] .. ':at:' .. ARGV[4], ARGV[1])
  end
  return 1`;

/** ARGV: id, connection, sequence, report, now, name. */
export const REPORT = NODE + `
  if redis.call('HGET', node, 'connection') ~= ARGV[2] then return 0 end
  redis.call('HSET', node, 'sequence', ARGV[3], 'report', ARGV[4], 'reported', ARGV[5], 'name', ARGV[6])
  ${CHANGED}
  return 1`;

/** ARGV: node or "", kept, kept by node, then entries as JSON without their sequence. */
export const APPEND = `
  for i = 4, #ARGV do
    local sequence = redis.call('INCR', KEYS[1] .. ':event_sequence')
    redis.call('XADD', KEYS[1] .. ':events', 'MAXLEN', '~', ARGV[2], sequence .. '-0', 'e', ARGV[i])
    if ARGV[1] ~= '' then
      redis.call('XADD', KEYS[1] .. ':events:' .. ARGV[1], 'MAXLEN', '~', ARGV[3], sequence .. '-0', 'e', ARGV[i])
    end
  end
  return 1`;

/** ARGV: id, kept, kept by node, then a sequence and an entry each. Returns the last one known. */
export const APPEND_OF = NODE + `
  local known = tonumber(redis.call('HGET', node, 'last_event') or 0)
  for i = 4, #ARGV, 2 do
    if tonumber(ARGV[i]) > known then
      known = tonumber(ARGV[i])
      local sequence = redis.call('INCR', KEYS[1] .. ':event_sequence')
      redis.call('XADD', KEYS[1] .. ':events', 'MAXLEN', '~', ARGV[2], sequence .. '-0', 'e', ARGV[i + 1])
      redis.call('XADD', KEYS[1] .. ':events:' .. ARGV[1], 'MAXLEN', '~', ARGV[3], sequence .. '-0', 'e', ARGV[i + 1])
    end
  end
  redis.call('HSET', node, 'last_event', known)
  return known`;

/** ARGV: id, once or "", most open, the command as JSON without number and state. A number, or why not. */
export const ADD = NODE + `
  local once = KEYS[1] .. ':once:' .. ARGV[1]
  if ARGV[2] ~= '' then
    local before = redis.call('HGET', once, ARGV[2])
    if before then return tonumber(before) end
  end
  if redis.call('EXISTS', node) == 0 then return 'there is no node ' .. ARGV[1] end
  if redis.call('HEXISTS', node, 'revoked') == 1 then return ARGV[1] .. ' was revoked' end
  local open = redis.call('ZCARD', KEYS[1] .. ':open:' .. ARGV[1])
  if open >= tonumber(ARGV[3]) then return open .. ' wait for ' .. ARGV[1] .. ' already' end
  local number = redis.call('HINCRBY', node, 'last_command', 1)
  redis.call('HSET', KEYS[1] .. ':command:' .. ARGV[1] .. ':' .. number, 'c', ARGV[4], 'state', 'queued', 'once', ARGV[2])
  redis.call('ZADD', KEYS[1] .. ':open:' .. ARGV[1], number, number)
  redis.call('ZADD', KEYS[1] .. ':commands:' .. ARGV[1], number, number)
  if ARGV[2] ~= '' then redis.call('HSET', once, ARGV[2], number) end
  return number`;

/** ARGV: id, then numbers. */
export const SENT = `
  for i = 2, #ARGV do
    local command = KEYS[1] .. ':command:' .. ARGV[1] .. ':' .. ARGV[i]
    if redis.call('HGET', command, 'state') == 'queued' then redis.call('HSET', command, 'state', 'sent') end
  end
  return 1`;

/** ARGV: id, number, result, ended ones that are kept. 1: the first result. */
export const END = `
  local command = KEYS[1] .. ':command:' .. ARGV[1] .. ':' .. ARGV[2]
  local all, open = KEYS[1] .. ':commands:' .. ARGV[1], KEYS[1] .. ':open:' .. ARGV[1]
  if redis.call('EXISTS', command) == 0 or redis.call('HEXISTS', command, 'result') == 1 then return 0 end
  redis.call('HSET', command, 'state', 'ended', 'result', ARGV[3])
  redis.call('ZREM', open, ARGV[2])
  redis.call('XADD', KEYS[1] .. ':changes', 'MAXLEN', '~', ${CHANGES_KEPT}, '*', 'n', ARGV[1], 'c', ARGV[2])
  local over = redis.call('ZCARD', all) - redis.call('ZCARD', open) - tonumber(ARGV[4])
  if over > 0 then
    for _, number in ipairs(redis.call('ZRANGE', all, 0, -1)) do
      if over <= 0 then break end
      local old = KEYS[1] .. ':command:' .. ARGV[1] .. ':' .. number
      if redis.call('HEXISTS', old, 'result') == 1 then
        local once = redis.call('HGET', old, 'once')
        if once ~= '' then redis.call('HDEL', KEYS[1] .. ':once:' .. ARGV[1], once) end
        redis.call('DEL', old)
        redis.call('ZREM', all, number)
        over = over - 1
      end
    end
  end
  return 1`;
