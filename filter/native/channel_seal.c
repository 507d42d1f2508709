/* Keys and tags of a channel, by libcrypto. */
#include "channel_seal.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define DIGEST 32u
#define GCM_NONCE 12

bool channel_seal_open(struct channel_seal *s, const struct channel_secret *secret, const struct channel_pair *pair, bool of_listener) {
  uint8_t said[32 + 2 * CHANNEL_NONCE + 5] = "remediate channel 1", key[DIGEST];
  unsigned n = sizeof key;
  uint8_t *at = said + 32;
  memcpy(at, pair->dials, CHANNEL_NONCE);
  memcpy(at + CHANNEL_NONCE, pair->listens, CHANNEL_NONCE);
  memcpy(at + 2 * CHANNEL_NONCE, (uint8_t[5]){(uint8_t)(pair->vni >> 16), (uint8_t)(pair->vni >> 8), (uint8_t)pair->vni, 0, of_listener}, 5);
  if (!s->cipher && !(s->cipher = EVP_CIPHER_CTX_new())) return false;
  bool made = HMAC(EVP_sha256(), secret->key, (int)secret->bytes, said, sizeof said, key, &n) != NULL &&
              EVP_CipherInit_ex(s->cipher, EVP_aes_256_gcm(), NULL, key, NULL, 1) == 1;
  OPENSSL_cleanse(key, sizeof key);
  return made;
}

void channel_seal_close(struct channel_seal *s) {
  EVP_CIPHER_CTX_free(s->cipher);
  s->cipher = NULL;
}

static void nonce_of(uint64_t number, uint8_t nonce[GCM_NONCE]) {
  memset(nonce, 0, 4);
  for (int i = 0; i < 8; i++) nonce[4 + i] = (uint8_t)(number >> (56 - 8 * i));
}

/* Header and trailer are always in the open; so is the body, unless it is encrypted. */
static bool covered(struct channel_seal *s, const uint8_t *d, uint32_t body, uint8_t *to) {
  int n;
  const uint8_t *in = d + CHANNEL_HEADER, *trailer = in + body;
  uint32_t front = s->encrypts ? CHANNEL_HEADER : CHANNEL_HEADER + body + CHANNEL_TRAILER;
  if (EVP_CipherUpdate(s->cipher, NULL, &n, d, (int)front) != 1) return false;
  if (!s->encrypts) {
    if (to != in) memcpy(to, in, body);
    return true;
  }
  return EVP_CipherUpdate(s->cipher, NULL, &n, trailer, (int)CHANNEL_TRAILER) == 1 &&
         (body == 0 || EVP_CipherUpdate(s->cipher, to, &n, in, (int)body) == 1);
}

bool channel_seal(struct channel_seal *s, uint8_t *d, uint32_t bytes, uint64_t number) {
  uint8_t nonce[GCM_NONCE], none[16];
  int n;
  nonce_of(number, nonce);
  return EVP_CipherInit_ex(s->cipher, NULL, NULL, NULL, nonce, 1) == 1 &&
         covered(s, d, bytes - CHANNEL_OVERHEAD, d + CHANNEL_HEADER) && EVP_CipherFinal_ex(s->cipher, none, &n) == 1 &&
         EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_GET_TAG, (int)CHANNEL_TAG, d + bytes - CHANNEL_TAG) == 1;
}

bool channel_unseal(struct channel_seal *s, const uint8_t *d, uint32_t bytes, uint64_t number, uint8_t *body) {
  uint8_t nonce[GCM_NONCE], none[16], tag[CHANNEL_TAG];
  int n;
  nonce_of(number, nonce);
  memcpy(tag, d + bytes - CHANNEL_TAG, sizeof tag);
  return EVP_CipherInit_ex(s->cipher, NULL, NULL, NULL, nonce, 0) == 1 &&
         EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_TAG, (int)sizeof tag, tag) == 1 &&
         covered(s, d, bytes - CHANNEL_OVERHEAD, body) && EVP_CipherFinal_ex(s->cipher, none, &n) == 1;
}

static bool digest(const struct channel_secret *secret, const uint8_t *d, uint32_t bytes, uint8_t tag[DIGEST]) {
  unsigned n = DIGEST;
  return HMAC(EVP_sha256(), secret->key, (int)secret->bytes, d, bytes - CHANNEL_TAG, tag, &n) != NULL;
}

bool channel_sign(const struct channel_secret *secret, uint8_t *d, uint32_t bytes) {
  uint8_t tag[DIGEST];
  if (!digest(secret, d, bytes, tag)) return false;
  memcpy(d + bytes - CHANNEL_TAG, tag, CHANNEL_TAG);
  return true;
}

bool channel_signed(const struct channel_secret *secret, const uint8_t *d, uint32_t bytes) {
  uint8_t tag[DIGEST];
  return digest(secret, d, bytes, tag) && CRYPTO_memcmp(d + bytes - CHANNEL_TAG, tag, CHANNEL_TAG) == 0;
}
