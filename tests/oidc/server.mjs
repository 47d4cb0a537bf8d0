// An identity provider for the tests: npm's oidc-provider, with groups as a claim of the ID token.
//
//   node server.mjs OPTIONS.json     from a folder that has package.json's packages
//
// OPTIONS: {"port", "client": {...}, "people": FILE, "clock_s": how much its clock is ahead, "issuer": what it calls itself, "tls": {"key", "cert"}}
// FILE: {"login": {"name": ..., "groups": [...]}}, read anew for each login. A password is anything.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer as createTls } from "node:https";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { default: Provider } = await import(pathToFileURL(createRequire(`${process.cwd()}/`).resolve("oidc-provider")).href);
const options = JSON.parse(readFileSync(process.argv[2], "utf8"));
const clock = Date.now;
if (options.clock_s) Date.now = () => clock() + options.clock_s * 1000;

function newKey(type, settings, algorithm) {
    const jwk = generateKeyPairSync(type, settings).privateKey.export({ format: "jwk" });
    return { ...jwk, use: "sig", alg: algorithm, kid: `${algorithm}-${process.pid}` };
}

const origin = `${options.tls ? "https" : "http"}://127.0.0.1:${options.port}`;
const provider = new Provider(options.issuer ?? origin, {
    clients: [options.client],
    jwks: { keys: [newKey("rsa", { modulusLength: 2048 }, "RS256"), newKey("ec", { namedCurve: "P-256" }, "ES256")] },
    claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups", "realm_access"], email: ["email"] },
    conformIdTokenClaims: false,
    cookies: { keys: ["of the tests"] },
    pkce: { methods: ["S256"], required: () => true },
    // Pages of few words: oidc-provider's own fetch fonts from elsewhere.
    features: {
        devInteractions: { enabled: false },
        rpInitiatedLogout: {
            enabled: true,
            logoutSource: (ctx, form) => (ctx.body = `${form}<button form="op.logoutForm" name="logout" value="yes">Log off</button>`),
            postLogoutSuccessSource: (ctx) => (ctx.body = "logged off"),
        },
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => {
        const person = JSON.parse(readFileSync(options.people, "utf8"))[id];
        return person && { accountId: id, claims: () => ({ sub: id, ...person }) };
    },
    // Nobody is asked whether he agrees.
    loadExistingGrant: async (ctx) => {
        const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
        grant.addOIDCScope(ctx.oidc.params.scope);
        await grant.save();
        return grant;
    },
});
async function readForm(request) {
    let text = "";
    for await (const piece of request) text += piece;
    return new URLSearchParams(text);
}
provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith("/interaction/")) await next();
    else if (ctx.method === "GET") ctx.body = `<form method="post" action="${ctx.path}"><input name="login"><input name="password" type="password"><button>Log in</button></form>`;
    else {
        const form = await readForm(ctx.req);
        ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, { login: { accountId: form.get("login") } }));
    }
    if (options.clock_s) ctx.set("Date", new Date(Date.now()).toUTCString());
});
const server = options.tls ? createTls({ key: readFileSync(options.tls.key), cert: readFileSync(options.tls.cert) }, provider.callback()) : createPlain(provider.callback());
server.listen(options.port, "127.0.0.1");
