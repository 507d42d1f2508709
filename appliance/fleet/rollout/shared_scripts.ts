/**
 * Duty: what of shared roll-outs has to happen all at once, as scripts of Redis. Pure.
 *
 * KEYS[1] is the prefix of the registry. Who leads has its token at `rollout:leader` for as long as its lease.
 */
const P = `local p = KEYS[1] .. ':rollout:' local leader = redis.call('GET', p .. 'leader') `;
const ANSWER_MS = 60_000;

/** ARGV: token, lease in milliseconds. 1: it still leads. 2: it does now. 0: another one does. */
export const LEAD = P + `
  if leader == ARGV[1] then redis.call('PEXPIRE', p .. 'leader', ARGV[2]) return 1 end
  if leader then return 0 end
  redis.call('SET', p .. 'leader', ARGV[1], 'PX', ARGV[2])
  return 2`;

/** ARGV: token, lease. Never takes what is nobody's. */
export const RENEW = P + `
  if leader ~= ARGV[1] then return 0 end
  redis.call('PEXPIRE', p .. 'leader', ARGV[2])
  return 1`;

/** ARGV: token. */
export const RELEASE = P + `
  if leader == ARGV[1] then redis.call('DEL', p .. 'leader') end
  return 1`;

/**
 * ARGV: token, wish that this fulfils or "", text for those who follow, number of drops, drops, then hash, field and value
 * of each row. 1: kept. 0: another one leads. 2: who wished it has gone.
 */
export const COMMIT = P + `
  if leader ~= ARGV[1] then return 0 end
  if ARGV[2] ~= '' then
    if redis.call('HDEL', p .. 'asked', ARGV[2]) == 0 then return 2 end
    redis.call('SET', p .. 'answer:' .. ARGV[2], '', 'PX', ${ANSWER_MS})
  end
  local rows = 5 + tonumber(ARGV[4])
  for i = 5, rows - 1 do
    redis.call('HDEL', p .. 'all', ARGV[i])
    redis.call('DEL', p .. 'courses:' .. ARGV[i])
  end
  for i = rows, #ARGV, 3 do redis.call('HSET', p .. ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
  local version = redis.call('INCR', p .. 'version')
  redis.call('XADD', p .. 'tail', 'MAXLEN', '~', 100, version .. '-0', 'j', ARGV[3])
  return 1`;

/** ARGV: token, wish, why not. */
export const REFUSE = P + `
  if leader ~= ARGV[1] then return 0 end
  if redis.call('HDEL', p .. 'asked', ARGV[2]) == 1 then
    redis.call('SET', p .. 'answer:' .. ARGV[2], ARGV[3], 'PX', ${ANSWER_MS})
  end
  return 1`;
