/**
 * Bad input to `tk.secrets`.
 *
 * @module
 */
import { as, CANARY, type Row } from './row.ts'
import {
  BAD_ACTORS,
  type Call,
  NO_OBJECTS,
  POLLUTERS,
  pages,
  row,
  rows,
  SOME_BAD_IDS,
  unknownFields,
  withField,
} from './values.ts'

const GOOD_SECRET = { tenantId: 'acme', provider: 'openai', value: { apiKey: `sk-${CANARY}` } }
const put: Call = (tk, input) => tk.secrets.put(as(input))
const putValue = (what: string, field: string, value: unknown): Row =>
  row('secrets.put', `value: ${what}`, field, ({ tk }) =>
    put(tk, { ...GOOD_SECRET, value }, as(null)),
  )
const putEndpoint = (
  what: string,
  endpoint: unknown,
  code: Row['code'] = 'TK_INPUT_INVALID',
): Row => ({
  ...putValue(`endpoint ${what}`, 'value.endpoint', { apiKey: `sk-${CANARY}`, endpoint }),
  code,
})
const BAD_PROVIDERS = {
  missing: undefined,
  empty: '',
  'a number': 7,
  unicode: `\u043fenai${CANARY}`,
  NUL: `openai\0${CANARY}`,
  'a capital': 'OpenAI',
  '65 letters': CANARY.padEnd(65, 'x'),
}
const secretRefs = (method: 'secrets.get' | 'secrets.delete', call: Call): readonly Row[] => [
  ...rows(method, 'tenantId', SOME_BAD_IDS, (tk, tenantId, bench) =>
    call(tk, { tenantId, provider: 'openai' }, bench),
  ),
  ...rows(method, 'provider', BAD_PROVIDERS, (tk, provider, bench) =>
    call(tk, { tenantId: 'acme', provider }, bench),
  ),
  ...rows(method, 'name', { empty: '', null: null, 'a path': `../${CANARY}` }, (tk, name, bench) =>
    call(tk, { tenantId: 'acme', provider: 'openai', name }, bench),
  ),
  ...rows(method, '(argument)', { missing: undefined, 'a text': CANARY }, call),
  ...unknownFields(method, { tenantId: 'acme', provider: 'openai' }, call),
]
const listSecrets: Call = (tk, input) => tk.secrets.list(as(input))
export const secretRows: readonly Row[] = [
  ...rows('secrets.put', '(argument)', { missing: undefined, ...NO_OBJECTS }, put),
  ...rows('secrets.put', 'tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    put(tk, { ...GOOD_SECRET, tenantId }, as(null)),
  ),
  ...rows(
    'secrets.put',
    'provider',
    { ...BAD_PROVIDERS, 'one that we do not know': 'acme-llm', constructor: 'constructor' },
    (tk, provider) => put(tk, { ...GOOD_SECRET, provider }, as(null)),
  ),
  ...rows(
    'secrets.put',
    'name',
    { empty: '', 'a path': `../${CANARY}`, 'a number': 7 },
    (tk, name) => put(tk, { ...GOOD_SECRET, name }, as(null)),
  ),
  ...rows(
    'secrets.put',
    'value',
    {
      missing: undefined,
      null: null,
      'the key itself': `sk-${CANARY}`,
      'a list': [`sk-${CANARY}`],
      'a Map': new Map([['apiKey', CANARY]]),
    },
    (tk, value) => put(tk, { ...GOOD_SECRET, value }, as(null)),
  ),
  ...rows('secrets.put', 'actor', BAD_ACTORS, (tk, actor) =>
    put(tk, { ...GOOD_SECRET, actor }, as(null)),
  ),
  ...unknownFields('secrets.put', GOOD_SECRET, put),
  putValue('without its key', 'value.apiKey', {}),
  putValue('an empty key', 'value.apiKey', { apiKey: '' }),
  putValue('a key that is no text', 'value.apiKey', { apiKey: { reveal: () => CANARY } }),
  putValue('a key with a line break behind', 'value.apiKey', { apiKey: `sk-${CANARY}\n` }),
  putValue('a key with a blank in front', 'value.apiKey', { apiKey: ` sk-${CANARY}` }),
  putValue('a key with a second header', 'value.apiKey', { apiKey: `sk-${CANARY}\r\nx-evil: 1` }),
  putValue('a key with unicode', 'value.apiKey', { apiKey: `sk-\u2013${CANARY}` }),
  putValue('a key of 10,241 letters', 'value.apiKey', { apiKey: CANARY.padEnd(10_241, 'x') }),
  putValue('a field that the provider does not have', 'value.organization', {
    apiKey: `sk-${CANARY}`,
    organization: CANARY,
  }),
  ...POLLUTERS.map((name) =>
    putValue(
      `T-I7 the field ${name}`,
      `value.${name}`,
      withField(name, { apiKey: `sk-${CANARY}` }),
    ),
  ),
  putEndpoint('that is no text', 7),
  putEndpoint('that is no URL', CANARY),
  putEndpoint('of a file', `file:///${CANARY}`),
  putEndpoint('with a password', `https://user:${CANARY}@llm.acme.example/v1`),
  putEndpoint('with a query', `https://llm.acme.example/v1?key=${CANARY}`),
  putEndpoint('with a fragment', `https://llm.acme.example/v1#${CANARY}`),
  putEndpoint('with a line break', `https://llm.acme.example/v1\n${CANARY}`),
  putEndpoint('that the operator did not list', `https://${CANARY}.example/v1`, 'TK_ORIGIN_DENIED'),
  {
    method: 'secrets.put',
    what: 'a tenant that is not there',
    run: ({ tk }) => put(tk, { ...GOOD_SECRET, tenantId: 'nobody' }, as(null)),
    code: 'TK_TENANT_NOT_FOUND',
    field: null,
  },
  ...secretRefs('secrets.get', (tk, input) => tk.secrets.get(as(input))),
  ...secretRefs('secrets.delete', (tk, input) => tk.secrets.delete(as(input))),
  ...rows('secrets.list', 'tenantId', SOME_BAD_IDS, (tk, tenantId) =>
    listSecrets(tk, { tenantId }, as(null)),
  ),
  ...pages('secrets.list', { tenantId: 'acme' }, listSecrets),
  ...unknownFields('secrets.list', { tenantId: 'acme' }, listSecrets),
]
