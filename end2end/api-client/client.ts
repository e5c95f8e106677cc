// From sign-up to a device's configuration, which it prints. The types of every request and answer are generated from the
// description, so what this sends and reads is checked by the compiler.
import createClient, { type Middleware } from "openapi-fetch";
import http from "node:http";
import type { components, paths } from "./api.js";

type Problem = components["schemas"]["Problem"];

const { API, API_HOST } = process.env;
if (!API || !API_HOST) throw new Error("API and API_HOST are needed");

const NAME = "typed";
const PASSWORD = "a good long pass phrase";

// Node's own fetch does not let a program set Host, which here stands for DNS.
async function send(request: Request): Promise<Response> {
  const body = await request.text();
  const headers = { ...Object.fromEntries(request.headers), host: API_HOST };
  return new Promise((resolve, reject) => {
    const sent = http.request(request.url, { method: request.method, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => {
        const status = answer.statusCode ?? 500;
        const text = status === 204 ? null : Buffer.concat(chunks).toString();
        const type = answer.headers["content-type"] ?? "text/plain";
        resolve(new Response(text, { status, headers: { "content-type": type, etag: answer.headers.etag ?? "" } }));
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const client = createClient<paths>({ baseUrl: API, fetch: send });

function ok<T>(result: { data?: T; error?: Problem }): T {
  if (result.error) throw new Error(`${result.error.code}: ${result.error.detail}`);
  if (result.data === undefined) throw new Error("an answer without a body");
  return result.data;
}

const plans = ok(await client.GET("/v1/plans"));
const plan = plans.items.find((plan) => plan.recommended) ?? plans.items[0];
if (!plan) throw new Error("no plan");
ok(await client.POST("/v1/tenants", { body: { name: NAME, password: PASSWORD, plan: plan.id } }));

const answer = ok(await client.POST("/v1/auth/token", { body: { grant: "password", name: NAME, password: PASSWORD } }));
if (answer.step !== "done" || !answer.tokens) throw new Error(`a step that this client does not know: ${answer.step}`);
const bearer: Middleware = {
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${answer.tokens?.access_token}`);
    return request;
  },
};
client.use(bearer);

const device = ok(
  await client.POST("/v1/devices", {
    params: { header: { "Idempotency-Key": "first-device" } },
    body: { label: "My phone", policy: "family", routing: "everything", mesh: true },
  }),
);
const path = { id: device.id };
const read = await client.GET("/v1/devices/{id}", { params: { path } });
const tag = read.response.headers.get("etag") ?? "";
const changed = ok(
  await client.PATCH("/v1/devices/{id}", { params: { path, header: { "If-Match": tag } }, body: { policy: "strict" } }),
);
if (changed.policy !== "strict") throw new Error("not changed");

const late = await client.PATCH("/v1/devices/{id}", {
  params: { path, header: { "If-Match": tag } },
  body: { policy: "off" },
});
if (late.error?.code !== "changed_meanwhile") throw new Error("a change of what was read before is refused");

// @ts-expect-error: the compiler knows what a device may be changed to.
void (() => client.PATCH("/v1/devices/{id}", { params: { path }, body: { policy: "none" } }));

const config = ok(await client.GET("/v1/devices/{id}/config", { params: { path }, parseAs: "text" }));
process.stdout.write(config);
