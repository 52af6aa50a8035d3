//! Every generated file of the repository, as text: manifests, the chart's CRDs, examples, the
//! customizations of Argo CD and the reference pages of the API and of conditions.
//!
//! It decides the file of each part and none of the content, which comes from the types, the
//! examples and the list of conditions. It must give the same bytes on every machine, and never
//! touches a file: the program `crdgen` writes and compares, tests compare too.

mod api_page;
mod argo_cd;
mod commented;
mod conditions_page;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde::Serialize;

use crate::{example, manifest, yaml};

/// The first line of every generated YAML file.
const NOTICE: &str =
    "# Written by crdgen from the types in crds/src; change those, not this file.\n";

/// Directories, relative to the root of the repository, that hold nothing but generated files.
pub const DIRECTORIES: [&str; 2] = ["crds/manifests", "charts/entente/templates/crds"];

/// One generated file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GeneratedFile {
    /// Path relative to the root of the repository.
    pub path: String,
    /// Content of the file, in UTF-8.
    pub content: String,
}

/// Returns all generated files, in a stable order.
pub fn files() -> Vec<GeneratedFile> {
    let crds = manifest::all();
    let mut files: Vec<GeneratedFile> = crds.iter().map(manifest_file).collect();
    files.push(kustomization(&crds));
    files.extend(crds.iter().map(chart_file));
    files.extend(examples());
    files.extend(example_services());
    files.push(example_amendment());
    files.extend(example_notices());
    files.extend(example_calling());
    files.extend(example_orders());
    files.push(example_snmp());
    files.push(example_settings_server());
    files.push(file(
        "contrib/argo-cd/argocd-cm.yaml",
        argo_cd::config_map(&crds),
    ));
    files.push(file(
        "docs/reference/conditions.md",
        conditions_page::text(),
    ));
    files.push(file("docs/reference/api.md", api_page::text(&crds)));
    files
}

fn file(path: &str, content: String) -> GeneratedFile {
    GeneratedFile {
        path: path.to_owned(),
        content,
    }
}

fn definition(crd: &CustomResourceDefinition) -> String {
    yaml::write(crd).expect("a CRD is plain data, and YAML can say all that JSON can")
}

fn manifest_file(crd: &CustomResourceDefinition) -> GeneratedFile {
    let path = format!("crds/manifests/{}.yaml", crd.spec.names.plural);
    file(&path, format!("{NOTICE}{}", definition(crd)))
}

fn kustomization(crds: &[CustomResourceDefinition]) -> GeneratedFile {
    let resources: Vec<String> = crds
        .iter()
        .map(|crd| format!("  - {}.yaml", crd.spec.names.plural))
        .collect();
    let resources = resources.join("\n");
    let head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n";
    file(
        "crds/manifests/kustomization.yaml",
        format!("{NOTICE}{head}{resources}\n"),
    )
}

/// Returns the manifest as a template of the chart: present while `crds.enabled`, and left in the
/// cluster by an uninstall while `crds.keep`.
fn chart_file(crd: &CustomResourceDefinition) -> GeneratedFile {
    let text = definition(crd).replace("{{", "{{ \"{{\" }}");
    let (head, rest) = text.split_once("metadata:\n").expect("a CRD has metadata");
    let metadata = "metadata:\n  labels:\n    {{- include \"entente.labels\" . | nindent 4 }}\n  \
                    {{- if .Values.crds.keep }}\n  annotations:\n    \
                    helm.sh/resource-policy: keep\n  {{- end }}\n";
    let path = format!(
        "charts/entente/templates/crds/{}.yaml",
        crd.spec.names.plural
    );
    let content = format!(
        "{NOTICE}{{{{- if .Values.crds.enabled }}}}\n{head}{metadata}{rest}{{{{- end }}}}\n"
    );
    file(&path, content)
}

/// The objects that `kubectl apply -f examples/` applies, in the order of the file names.
fn examples() -> Vec<GeneratedFile> {
    let mut catalogue = ExampleFile::new(
        "The catalogue, written by the platform team: how devices and the service server are \
         reached, what a model can do and what a service needs. The Secret that the second \
         Connection names is made with: kubectl create secret generic northwind-services \
         --namespace entente-system --from-literal=username=... --from-literal=password=... . The first \
         one has no credentials: its url has {address}, so that a Device decides where they would \
         go. Devices that want a login name one of their own (connections[].credentialsRef).",
    );
    catalogue.add(&example::hq_ipp());
    catalogue.add(&example::northwind_services());
    catalogue.add(&example::mfp_500());
    catalogue.add(&example::data_backup());
    catalogue.add(&example::parts_life());

    let mut namespace =
        ExampleFile::new("The customer's namespace, in which devices and contracts are.");
    namespace
        .text
        .push_str("---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: ");
    namespace.text.push_str(example::NAMESPACE);
    namespace.text.push('\n');

    let mut devices = ExampleFile::new(
        "The customer's devices. All but the first carry the label that the contract selects by.",
    );
    for device in example::devices() {
        devices.add(&device);
    }

    let mut contract = ExampleFile::new(
        "The contract: from its start on, these services must work on these devices.",
    );
    contract.add(&example::banco_sul_2027());
    vec![
        file("examples/0-namespace.yaml", namespace.text),
        file("examples/1-catalogue.yaml", catalogue.text),
        file("examples/2-devices.yaml", devices.text),
        file("examples/3-contract.yaml", contract.text),
    ]
}

/// The objects that `kubectl apply -f examples/services/` applies: each example service with all its
/// options. They use the namespace and the Connections of [`examples`].
fn example_services() -> Vec<GeneratedFile> {
    let mut catalogue = ExampleFile::new(
        "Seven services with all their options, and two models of device that can do them. The \
         Connections that they name are those of examples/1-catalogue.yaml. Only the models know \
         the names that a device has for its settings.",
    );
    for model in [example::services::mfp_700(), example::services::mfp_320()] {
        catalogue.add(&model);
    }
    for service in example::services::services() {
        catalogue.add(&service);
    }
    let mut devices = ExampleFile::new(
        "Devices of both models, in the namespace of examples/0-namespace.yaml. The label says \
         which of them the contract is about.",
    );
    for device in example::services::devices() {
        devices.add(&device);
    }
    let mut contract = ExampleFile::new(
        "One contract of all seven services. It chooses each option that they have, and none by \
         its default.",
    );
    contract.add(&example::services::contract());
    vec![
        file("examples/services/1-catalogue.yaml", catalogue.text),
        file("examples/services/2-devices.yaml", devices.text),
        file("examples/services/3-contract.yaml", contract.text),
    ]
}

/// The change that `kubectl apply -f examples/amendments/` makes of the contract of [`examples`],
/// when both sides have agreed on it. It is not beside that one, which would then be applied with it.
fn example_amendment() -> GeneratedFile {
    let mut amendment = ExampleFile::new(
        "A change of the contract of examples/3-contract.yaml, agreed while it runs: it applies from \
         its date on. Deleting it before that day takes it back.",
    );
    amendment.add(&example::banco_sul_2027_july());
    file("examples/amendments/1-july.yaml", amendment.text)
}

/// The contract that `kubectl apply -f examples/notices/1-contract.yaml` makes, and the notice that
/// starts it.
fn example_notices() -> Vec<GeneratedFile> {
    let mut contract = ExampleFile::new(
        "A contract that starts when the contract system reports it, and not on a date. It uses the \
         namespace, the catalogue and the devices of examples/.",
    );
    contract.add(&example::banco_sul_lobby());
    let mut notice = ExampleFile::new(
        "The report that the contract of 1-contract.yaml has started: the device is installed. It \
         counts from `at` only if it is made within 5 minutes of that; later it counts from the \
         moment at which it is made.",
    );
    notice.add(&example::banco_sul_installed());
    vec![
        file("examples/notices/1-contract.yaml", contract.text),
        file("examples/notices/2-installed.yaml", notice.text),
    ]
}

/// The objects that `kubectl apply -f examples/devices-that-call/` makes, by which devices behind a
/// firewall register.
fn example_calling() -> Vec<GeneratedFile> {
    let mut gateway = ExampleFile::new(
        "Devices behind a firewall: the gateway that they call, an enrolment that makes a Device for \
         each that registers, and a model and a service with software that such devices install. The \
         Secret with the token is made with: kubectl create secret \
         generic banco-sul-enrollment --namespace banco-sul --from-literal=token=... ; kubectl label \
         secret banco-sul-enrollment --namespace banco-sul entente.dev/use=true . Every \
         product that a DeviceModel names may register by the enrolment; the label in its template is \
         that by which the contract in examples/3-contract.yaml selects devices.",
    );
    gateway.add(&example::gateway());
    gateway.add(&example::northwind_files());
    gateway.add(&example::enrollment());
    gateway.add(&example::mfp_510());
    gateway.add(&example::remote_panel());
    let mut contract = ExampleFile::new(
        "A device that calls, entered before it registers, and a contract for it: firmware, then the \
         application, then the setting. It uses the namespace of examples/, and 1-gateway.yaml.",
    );
    contract.add(&example::calling_device());
    contract.add(&example::panel_contract());
    vec![
        file("examples/devices-that-call/1-gateway.yaml", gateway.text),
        file("examples/devices-that-call/2-contract.yaml", contract.text),
    ]
}

/// The objects that `kubectl apply -f examples/orders/` makes: supplies are ordered when devices report
/// them empty.
fn example_orders() -> Vec<GeneratedFile> {
    let mut orders = ExampleFile::new(
        "Supplies that are ordered when a device reports them empty: the order server of the provider, a \
         colour model with its supplies and errors, the service that a contract names, and the text that \
         stands on the panel with the id of the order.",
    );
    orders.add(&example::northwind_orders());
    orders.add(&example::mfp_520());
    orders.add(&example::toner_delivery());
    orders.add(&example::toner_empty_text());
    let mut site = ExampleFile::new(
        "A site: connections, language, time zone and address for supplies of the devices that name it with \
         siteRef, and one of them, which says of itself only what no other device shares.",
    );
    site.add(&example::osasco_site());
    site.add(&example::osasco_device());
    vec![
        file("examples/orders/1-catalogue.yaml", orders.text),
        file("examples/orders/2-site.yaml", site.text),
    ]
}

/// The objects that `kubectl apply -f examples/snmp/` makes, by which devices are set by SNMP.
fn example_snmp() -> GeneratedFile {
    let mut printer = ExampleFile::new(
        "A device that is set and read by SNMP. It uses the namespace of examples/. The Secret with \
         the login is made with: kubectl create secret generic lobby-labels-snmp --namespace banco-sul \
         --from-literal=username=entente --from-literal=authProtocol=SHA-256 \
         --from-literal=authPassword=... --from-literal=privProtocol=AES-128 \
         --from-literal=privPassword=... ; kubectl label secret lobby-labels-snmp --namespace banco-sul \
         entente.dev/use=true . The platform team lets the operator read it by the value \
         tenantSecrets.namespaces of the chart.",
    );
    printer.add(&example::hq_snmp());
    printer.add(&example::label_7());
    printer.add(&example::label_printer());
    file("examples/snmp/1-label-printer.yaml", printer.text)
}

/// The objects that `kubectl apply -f examples/settings-server/` makes: a device that is reached through
/// the server of its maker.
fn example_settings_server() -> GeneratedFile {
    let mut file_of_all = ExampleFile::new(
        "A device that nobody but the settings distribution server of its maker reaches: the \
         Connection of the server, the Device and a contract for it. It uses the namespace and the \
         catalogue of examples/; the model says by via.http where the server has each setting. The \
         Secret with the token is made in the namespace of the operator with: kubectl create secret \
         generic northwind-settings --namespace entente-system --from-literal=token=...",
    );
    file_of_all.add(&example::northwind_settings());
    file_of_all.add(&example::branch_04_mfp());
    file_of_all.add(&example::branch_04_contract());
    file("examples/settings-server/1-device.yaml", file_of_all.text)
}

/// A file of examples under construction. Each field is explained where it first appears.
struct ExampleFile {
    text: String,
    explained: commented::Explained,
}

impl ExampleFile {
    fn new(introduction: &str) -> Self {
        let mut text = NOTICE.to_owned();
        commented::push_comment(&mut text, 0, introduction);
        Self {
            text,
            explained: commented::Explained::default(),
        }
    }

    fn add<K: Serialize + CustomResourceExt>(&mut self, object: &K) {
        self.text.push_str("---\n");
        self.text
            .push_str(&commented::document(object, &mut self.explained));
    }
}
