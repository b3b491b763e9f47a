//! The partitions of AWS: which domain the endpoints of a region are in.

/// A partition: what the names of its regions begin with, and the domains of its endpoints.
pub(super) struct Partition {
    prefix: &'static str,
    suffix: &'static str,
    dualstack_suffix: &'static str,
}

/// The partition of every region that is in none of the others.
const COMMERCIAL: Partition =
    Partition { prefix: "", suffix: "amazonaws.com", dualstack_suffix: "api.aws" };

/// The other partitions. GovCloud's endpoints are in the domains of the commercial one.
const OTHERS: [Partition; 6] = [
    Partition {
        prefix: "cn-",
        suffix: "amazonaws.com.cn",
        dualstack_suffix: "api.amazonwebservices.com.cn",
    },
    Partition {
        prefix: "eusc-",
        suffix: "amazonaws.eu",
        dualstack_suffix: "api.amazonwebservices.eu",
    },
    Partition { prefix: "us-iso-", suffix: "c2s.ic.gov", dualstack_suffix: "api.aws.ic.gov" },
    Partition { prefix: "us-isob-", suffix: "sc2s.sgov.gov", dualstack_suffix: "api.aws.scloud" },
    Partition {
        prefix: "eu-isoe-",
        suffix: "cloud.adc-e.uk",
        dualstack_suffix: "api.cloud-aws.adc-e.uk",
    },
    Partition {
        prefix: "us-isof-",
        suffix: "csp.hci.ic.gov",
        dualstack_suffix: "api.aws.hci.ic.gov",
    },
];

impl Partition {
    /// Finds the partition of a region.
    pub(super) fn of(region: &str) -> &'static Self {
        let fits = |partition: &&Self| region.starts_with(partition.prefix);
        OTHERS.iter().find(fits).unwrap_or(&COMMERCIAL)
    }

    /// Returns the name of the service's host in a region.
    pub(super) fn host(&self, region: &str, fips: bool, dualstack: bool) -> String {
        let service = if fips { "firehose-fips" } else { "firehose" };
        let suffix = if dualstack { self.dualstack_suffix } else { self.suffix };
        format!("{service}.{region}.{suffix}")
    }
}

/// Finds the region in the name of one of the service's own hosts, a VPC's interface endpoint among
/// them: it is the label after the service's.
pub(super) fn region_of_host(host: &str) -> Option<&str> {
    let mut labels =
        host.split('.').skip_while(|label| !matches!(*label, "firehose" | "firehose-fips"));
    labels.next()?;
    let region = labels.next()?;
    let (_, domain) = host.split_once(region)?;
    let partition = Partition::of(region);
    let domain = domain.strip_prefix('.')?;
    let domain = domain.strip_prefix("vpce.").unwrap_or(domain);
    (domain == partition.suffix || domain == partition.dualstack_suffix).then_some(region)
}
