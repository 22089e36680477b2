// A real OpenID Connect provider for tests: `node provider.js FILE`, FILE being its set-up as JSON.
// It prints one line once it serves. Who types a subject at its login page is that person.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

import Provider from 'oidc-provider';

const setup = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const key = (kind, options, more) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }),
  kid: randomBytes(6).toString('hex'),
  use: 'sig',
  ...more,
});

const provider = new Provider(setup.issuer, {
  clients: setup.clients,
  claims: { openid: ['sub'], profile: ['preferred_username', 'name'], groups: ['groups'] },
  scopes: ['openid', 'profile', 'groups'],
  conformIdTokenClaims: setup.conform ?? true,
  cookies: { keys: [randomBytes(24).toString('hex')] },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'HS256'] },
  features: {
    deviceFlow: { enabled: setup.device ?? true },
    devInteractions: { enabled: true },
  },
  findAccount: (ctx, id) => {
    const claims = setup.people[id];
    return claims && { accountId: id, claims: () => ({ sub: id, ...claims }) };
  },
  jwks: {
    keys: [
      key('rsa', { modulusLength: 2048 }, { alg: 'RS256' }),
      key('rsa', { modulusLength: 2048 }, { alg: 'PS256' }),
      key('ec', { namedCurve: 'P-256' }, { alg: 'ES256' }),
      key('ed25519', {}, { alg: 'EdDSA' }),
    ],
  },
  pkce: { required: () => true },
});

const tls = { cert: readFileSync(setup.certificate), key: readFileSync(setup.key) };
createServer(tls, provider.callback()).listen(setup.port, '127.0.0.1', () => console.log('serving'));
