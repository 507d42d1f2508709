/**
 * Duty: what the repository does inside Redis, in Lua, where each is one step that nobody sees half of.
 *
 * Pure texts. Of each source there are six keys in one slot of a cluster: the stream of its log, whose ids are sequences; the
 * snapshot, a hash; the order in which slots changed and in which they end, sorted sets; its head; the marks of replicas.
 */

export const KEYS = ["log", "snapshot", "age", "end", "head", "marks"] as const;

/** A sequence as Lua writes it: numbers there are doubles, which hold it to the last digit. */
const HELPERS = `
  local log, snapshot, age, ends, head, marks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
  local function whole(n) return string.format('%.0f', n) end
  local function drop(slots)
    for _, slot in ipairs(slots) do
      redis.call('HDEL', snapshot, slot)
      redis.call('ZREM', age, slot)
      redis.call('ZREM', ends, slot)
    end
    return #slots
  end
  local function expire(now) return drop(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 1000)) end
`;

/** ARGV: records at most, log at most, first sequence, then slot, end (or ""), chunk of each. */
export const APPEND = `${HELPERS}
  local records_max, log_max, first = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
  local last = tonumber(redis.call('HGET', head, 'last') or '0')
  if first > last + 1 then return {'gap', whole(last), 0, 0} end
  local before = redis.call('XLEN', log)
  local added = 0
  for i = 4, #ARGV, 3 do
    local sequence = first + (i - 4) / 3
    if sequence > last then
      local slot, over, chunk = ARGV[i], ARGV[i + 1], ARGV[i + 2]
      redis.call('XADD', log, whole(sequence) .. '-0', 's', slot, 'e', over, 'c', chunk)
      redis.call('HSET', snapshot, slot, whole(sequence) .. ' ' .. over .. ' ' .. chunk)
      redis.call('ZADD', age, whole(sequence), slot)
      if over == '' then redis.call('ZREM', ends, slot) else redis.call('ZADD', ends, over, slot) end
      last = sequence
      added = added + 1
    end
  end
  redis.call('HSET', head, 'last', whole(last))
  redis.call('XTRIM', log, 'MAXLEN', log_max)
  local evicted = 0
  local over = redis.call('HLEN', snapshot) - records_max
  if over > 0 then evicted = drop(redis.call('ZRANGE', age, 0, over - 1)) end
  return {'ok', whole(last), added, evicted, before + added - redis.call('XLEN', log)}
`;

/** ARGV: the sequence to go on with. */
export const BEGIN = `${HELPERS}
  redis.call('DEL', log, snapshot, age, ends, marks)
  redis.call('HSET', head, 'last', whole(tonumber(ARGV[1]) - 1))
  return 'ok'
`;

/** ARGV: now and the silence after which a replica holds nothing back, in milliseconds. */
export const TRIM = `${HELPERS}
  local now, silence = tonumber(ARGV[1]), tonumber(ARGV[2])
  local expired = expire(ARGV[1])
  local lowest = nil
  local all = redis.call('HGETALL', marks)
  for i = 1, #all, 2 do
    local sequence, heard = string.match(all[i + 1], '^(%d+) (%d+)$')
    if now - tonumber(heard) > 86400000 then
      redis.call('HDEL', marks, all[i])
    elseif now - tonumber(heard) <= silence and (lowest == nil or tonumber(sequence) < lowest) then
      lowest = tonumber(sequence)
    end
  end
  local gone = 0
  if lowest ~= nil then gone = redis.call('XTRIM', log, 'MINID', whole(lowest + 1) .. '-0') end
  return {gone, expired}
`;
